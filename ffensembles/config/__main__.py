"""`python -m ffensembles.config [FILE ...]`: say what each key is, or check configuration files."""

import sys

from ffensembles.config import load_config
from ffensembles.config.describe import text
from ffensembles.errors import ConfigError


def main(files: list[str]) -> int:
    """Check `files`, each laid over those before it; without any, describe every key."""
    if not files:
        print(text())
        return 0
    try:
        config = load_config(*files)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{config.name}: every key is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
