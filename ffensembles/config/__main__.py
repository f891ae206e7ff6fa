"""`ffensembles describe-config [FILE ...]`: describe every key, or check configuration files."""

import argparse
import sys
from collections.abc import Sequence

from ffensembles.config import describe, json_schema, load_config
from ffensembles.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe every key, print the JSON schema, or check files; return the exit status."""
    parser = argparse.ArgumentParser(prog="ffensembles describe-config", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="config.yaml and its overlays")
    parser.add_argument(
        "--schema", action="store_true", help=f"print the JSON schema ({json_schema.FILE})"
    )
    given = parser.parse_args(arguments)
    if given.schema:
        print(json_schema.text(), end="")
        return 0
    if not given.files:
        print(describe.text())
        return 0
    try:
        config = load_config(*given.files)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{config.name}: every key is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
