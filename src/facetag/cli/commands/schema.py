"""`facetag schema`: what the JSON that facetag writes looks like."""

import json


def schema() -> None:
    """Print the JSON Schema of JSON and JSON Lines; it states how paths are spelt and which shard a path is of.

    \b
    Examples:
      facetag schema > facetag.schema.json
      facetag schema | jq '."$defs".input.properties.path.description'
    """
    from facetag.formats.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))
