"""`facetag attributes`: what a model answers."""

from facetag.cli.options import ModelName


def attributes(model: ModelName = None) -> None:
    """List a model's attributes, each with its groups and the probability from which it is present.

    \b
    Examples:
      facetag attributes
      facetag attributes --model faithful | grep hair
    """
    from facetag.model_folder import DEFAULT, attributes_of, find_model, read_description

    description = read_description(find_model(model or DEFAULT))
    names, groups = attributes_of(description)
    groups_of = {name: ",".join(group for group, members in groups.items() if name in members) for name in names}
    rows = [("ATTRIBUTE", "GROUP", "THRESHOLD")]
    thresholds = zip(names, description["thresholds"], strict=True)
    rows += [(name, groups_of[name], f"{value:.4f}") for name, value in thresholds]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, group, threshold in rows:
        print(f"{name:{widths[0]}}  {group:{widths[1]}}  {threshold}")
