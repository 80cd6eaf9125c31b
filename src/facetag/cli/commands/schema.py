"""`facetag schema`: what the JSON that facetag writes looks like."""

import json

from facetag.cli.options import ModelName


def schema(model: ModelName = None) -> None:
    """Print the JSON Schema of JSON and JSON Lines; it states how paths are spelt and which shard a path is of.

    Its attributes are those of a model.

    \b
    Examples:
      facetag schema > facetag.schema.json
      facetag schema | jq '."$defs".input.properties.path.description'
    """
    from facetag.formats.json_schema import json_schema
    from facetag.model_folder import DEFAULT, attributes_of, find_model, read_description

    attributes, _ = attributes_of(read_description(find_model(model or DEFAULT)))
    print(json.dumps(json_schema(attributes), indent=2))
