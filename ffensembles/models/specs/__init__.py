"""One module per model; each describes it as `SPEC`."""

# The registry imports all modules of this package. Whoever imports one of them directly must
# complete the registry first: `ModelSpec` is defined there.
from ffensembles.models import spec  # noqa: F401
