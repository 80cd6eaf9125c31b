"use strict";
const PAGE = 100;
const find = (id) => document.getElementById(id);
const facts = JSON.parse(find("facts").textContent);

const pictures = JSON.parse(find("pictures").textContent);
for (const image of document.querySelectorAll("img[data-picture]")) image.src = pictures[image.dataset.picture];

async function unpacked(name) {
  const element = find("packed-" + name);
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Where each line of the paths begins; a line is turned into text only when it is shown.
function lineStarts(bytes) {
  const starts = [0];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) starts.push(at + 1);
  return starts;
}

async function main() {
  const names = ["paths", "codes", "counts", "present", "unsure"];
  const [paths, codes, counts, present, unsure] = await Promise.all(names.map(unpacked));
  const starts = lineStarts(paths);
  const text = new TextDecoder();
  const path = (image) =>
    image + 1 < starts.length ? text.decode(paths.subarray(starts[image], starts[image + 1] - 1)) : "input " + (image + 1);
  const width = Math.ceil(facts.faces / 8);
  const bit = (planes, attribute, face) => (planes[attribute * width + (face >> 3)] >> (face & 7)) & 1;
  const decision = (attribute, face) =>
    bit(present, attribute, face) ? 1 : bit(unsure, attribute, face) ? 2 : 0;

  let found = [], shown = 0;

  // The filter stands in the address too, so that it can be kept: #Smiling=1&status=ok
  const selects = [["status", find("status")]];
  for (const select of document.querySelectorAll("select.attribute")) {
    selects.push([facts.attributes[select.dataset.attribute], select]);
  }
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const [name, select] of selects) if (asked.has(name)) select.value = asked.get(name);

  function search() {
    const chosen = selects.filter(([, select]) => select.value !== "").map(([name, select]) => [name, select.value]);
    history.replaceState(null, "", "#" + new URLSearchParams(chosen));
    const status = find("status").value;
    const code = facts.statuses.indexOf(status);
    const wanted = [...document.querySelectorAll("select.attribute")]
      .filter((select) => select.value !== "")
      .map((select) => [Number(select.dataset.attribute), Number(select.value)]);
    const suits = (face) => wanted.every(([attribute, value]) => decision(attribute, face) === value);
    found = [];
    let faces = 0, first = 0;
    for (let image = 0; image < codes.length; image++) {
      const count = counts[2 * image] | (counts[2 * image + 1] << 8);
      if (!status || codes[image] === code) {
        let matching = 0;
        for (let face = first; face < first + count; face++) if (suits(face)) matching++;
        if (matching || !wanted.length) found.push([image, first, count]);
        faces += matching;
      }
      first += count;
    }
    const number = (value) => value.toLocaleString("en");
    find("count").textContent = `${number(found.length)} inputs, ${number(faces)} faces`;
    find("rows").replaceChildren();
    shown = 0;
    more();

    function described(face, number) {
      const tags = facts.attributes.filter((_, attribute) => bit(present, attribute, face));
      return `${number}: ${tags.join(", ") || "no tag"}`;
    }

    function more() {
      const rows = found.slice(shown, shown + PAGE).map(([image, first, count]) => {
        const row = document.createElement("tr");
        const cells = [path(image), facts.statuses[codes[image]]];
        const lines = [];
        for (let face = first; face < first + count; face++) {
          if (suits(face)) lines.push(facts.attributes.length ? described(face, face - first + 1) : `${face - first + 1}`);
        }
        cells.push(lines.join("; "));
        for (const [place, words] of cells.entries()) {
          const cell = document.createElement(place ? "td" : "th");
          if (!place) cell.scope = "row";
          if (place !== 1) cell.className = "path";
          cell.textContent = words;
          row.append(cell);
        }
        return row;
      });
      find("rows").append(...rows);
      shown += rows.length;
      find("more").hidden = shown >= found.length;
    }
    find("more").onclick = more;
  }

  find("form").addEventListener("change", search);
  find("form").addEventListener("reset", () => setTimeout(search));
  search();
  document.documentElement.dataset.ready = "yes";
}

main();
