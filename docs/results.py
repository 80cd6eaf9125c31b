"""Everything that docs/results.md shows, measured again: trainings that it states, then figure after figure.

    python docs/results.py --data data --out results --haar haar.csv
    python docs/results.py --data data --out results --only transfer sizes

Each figure leaves NAME.json, NAME.png, NAME.html and NAME.txt in --out, and index.html links the pages. What is there
already is not made again, and a training that was stopped goes on, so the command can be given again until all is done.
`--haar` is a CSV of Haar cascades' boxes of CelebA's aligned images (benchmarks/peer_boxes.py); without it PANDA-w is
left out. `--peer NAME=FILE` are peers' boxes of WebFaces, as for `facetag eval peers`.
"""

import argparse
import html
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "studies"

#: The first so many of these are the tags of Fig. 2's LNets; of eyes, mouth, hair, hats, age and the whole first.
TAGS = (
    "Male", "Smiling", "Eyeglasses", "Blond_Hair", "Wearing_Hat", "Young", "Bangs", "No_Beard", "Black_Hair",
    "High_Cheekbones", "Attractive", "Bald", "Big_Nose", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Goatee",
    "Gray_Hair", "Heavy_Makeup", "Mouth_Slightly_Open",
)  # fmt: skip
TAG_COUNTS = (1, 5, 10, 20, 40)

_FEW_TAGS = """base = "faithful"
name = "tags_{count}"

[lnet_o]
start = "lnet_plus"
any_weight = 0.0
response = "mean"
tags = {tags}

[lnet_o.loop]
epochs = 1
rate = 0.01
"""


@dataclass(frozen=True)
class Step:
    """A command of facetag, or a script, and the file that says that it was done.

    Attributes:
        title: of the figure; empty for a training.
    """

    name: str
    command: Sequence[str]
    done: Path
    title: str = ""


def few_tags(count: int) -> str:
    """The recipe of an LNet_o that goes on from LNet+ with so many tags, in one epoch; its map is the plain mean over
    channels."""
    tags = TAGS[:count] if count <= len(TAGS) else ()
    return _FEW_TAGS.format(count=count, tags=list(tags)).replace("'", '"')


def trainings(data: Path, runs: Path) -> Iterator[Step]:
    """What the figures need beside the models, in order."""
    base = runs / "restored"
    yield Step("restored", ["studies/restore.py", "--run", str(base)], base / "anet_identities" / "best.safetensors")
    kept, objects = runs / "objects", ["--nets", "objects"]
    yield Step("objects", ["studies/restore.py", "--run", str(kept), *objects], kept / "lnet_o" / "best.safetensors")
    for name in ("left_out", "all_attributes"):
        run, recipe = runs / name, STUDIES / f"{name}.toml"
        finetune = ("facetag", "finetune", "anet", "--data", str(data), "--run", str(run), "--recipe", str(recipe))
        yield Step(name, finetune, run / "anet_attributes.done")
    for count in TAG_COUNTS:
        run, recipe = runs / f"tags_{count}", runs / f"tags_{count}.toml"
        finetune = ("facetag", "finetune", "lnet-o", "--data", str(data), "--run", str(run), "--recipe", str(recipe))
        yield Step(run.name, finetune, run / "lnet_o.done")


def figures(data: Path, out: Path, haar: Path | None, peers: Sequence[str]) -> Iterator[Step]:
    """The figures, in the order of docs/results.md."""
    runs, work = out / "runs", ("--work", str(out / "work"))
    base, celeba = ("--run", str(runs / "restored")), ("--data", str(data))
    webfaces = ("--images", str(data / "webfaces"), "--half", "test")
    few = (*webfaces, "--limit", "300")
    boxes = ("--boxes", str(haar), "--panda-w-images", "4000") if haar else ()
    crops = (*celeba, "--model", "faithful", "--mode", "crops")
    tagged = [f"{count} tags={runs / f'tags_{count}'}" for count in TAG_COUNTS]
    asked = {
        "table": ("Table 1", (*celeba, *work, *boxes, *base, "--model", "faithful", "--model", "fast")),
        "tags": ("Fig. 2", (*few, "--recipe", str(runs / "tags_40.toml"), *_each("--run", tagged))),
        "robustness": ("Fig. 4b", (*celeba, "--partition", "test", "--limit", "1000", "--model", "faithful")),
        "maps": ("Fig. 6, 7b and 14", (*few, "--model", "faithful", "--run", f"objects={runs / 'objects'}")),
        "peers": (
            "Fig. 7a",
            (*webfaces, "--limit", "1000", "--model", "faithful", "--model", "fast", *_each("--peer", peers)),
        ),
        "neurons": ("Fig. 8", (*crops, *base, "--limit", "1000")),
        "layers": ("Fig. 9", (*crops, *base, "--limit", "1000")),
        "grouping": ("Fig. 10", (*celeba, "--model", "faithful")),
        "regions": ("Fig. 11", (*crops, "--limit", "200")),
        "transfer": ("Fig. 12", (*celeba, *work, *boxes, *_each("--run", _transfer(runs)))),
        "sizes": (
            "Fig. 13",
            (*celeba, *work, *base, *_each("--size", ("500", "2000", "10000")), "--training-images", "41340",
             "--model", "faithful"),
        ),
        "speed": ("5.2", ("--image", str(ROOT / "examples" / "photos" / "astronaut.jpg"))),
        "groups": ("Errors by sex and age", (*celeba, "--partition", "test")),
        "reliability": ("Reliability", (*celeba, "--partition", "test", "--limit", "1000")),
        "compare": (
            "Two models", ("faithful", "fast", *celeba, "--partition", "test", "--mode", "crops", "--limit", "1000")
        ),
    }  # fmt: skip
    for name, (title, options) in asked.items():
        command = "maps" if name == "tags" else name
        if name == "peers" and not peers:
            continue
        drawn = ("--picture", str(out / f"{name}.png"), "--page", str(out / f"{name}.html"))
        saved = ("--json", str(out / f"{name}.json"))
        yield Step(name, ("facetag", "eval", command, *options, *drawn, *saved), out / f"{name}.json", title)


def _transfer(runs: Path) -> tuple[str, str]:
    return f"ANet, all forty={runs / 'all_attributes'}", f"ANet, ten left out={runs / 'left_out'}"


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def run(step: Step, log: Path) -> None:
    """Run a step and keep what it prints.

    Raises:
        SystemExit: it failed.
    """
    if step.done.exists():
        print(f"{step.name}: done before", file=sys.stderr)
        return
    words = ["-m", *step.command] if step.command[0] == "facetag" else list(step.command)
    print(f"{step.name}: {' '.join(step.command)}", file=sys.stderr)
    with log.open("w", encoding="utf-8") as stream:
        ended = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=stream, check=False)
    if ended.returncode:
        raise SystemExit(f"error: {step.name} ended with {ended.returncode}; see above, mend it and run this again")


def train(step: Step, restored: Path, log: Path) -> None:
    """A training of its own run, which begins with the restored LNet+ or identities, or goes on where it stopped."""
    folder = step.done.parent
    before = "anet_identities" if step.command[2] == "anet" else "lnet_plus"
    (folder / before).mkdir(parents=True, exist_ok=True)
    (folder / before / "best.safetensors").write_bytes((restored / before / "best.safetensors").read_bytes())
    begun = (folder / step.done.stem / "checkpoint.pt").is_file()
    run(Step(step.name, [*step.command, "--resume"] if begun else step.command, step.done), log)
    step.done.touch()


def index(steps: Sequence[Step], out: Path) -> str:
    """A page with a link to each figure."""
    rows = [
        f'<li><a href="{step.name}.html">{html.escape(step.title)}</a></li>'
        for step in steps
        if (out / f"{step.name}.json").is_file()
    ]
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>facetag: the paper's figures</title><ul>{''.join(rows)}</ul></html>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with celeba/ and webfaces/")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures, runs and what was learned")
    parser.add_argument("--haar", type=Path, help="CSV of Haar boxes of CelebA's aligned images")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FILE", help="CSV of boxes of WebFaces")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these figures alone")
    asked = parser.parse_args()
    data, out = asked.data.resolve(), asked.out.resolve()
    runs = out / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    wanted = [step for step in figures(data, out, asked.haar, asked.peer) if step.name in (asked.only or [step.name])]
    for count in TAG_COUNTS:
        (runs / f"tags_{count}.toml").write_text(few_tags(count), encoding="utf-8")
    restored, objects, *others = trainings(data, runs)
    for step in (restored, objects):
        run(step, runs / f"{step.name}.log")
    for step in others:
        if any(str(step.done.parent) in " ".join(each.command) for each in wanted):
            train(step, runs / "restored", runs / f"{step.name}.log")
    for step in wanted:
        run(step, out / f"{step.name}.txt")
        (out / "index.html").write_text(index(wanted, out), encoding="utf-8")


if __name__ == "__main__":
    main()
