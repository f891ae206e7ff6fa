"""What must be known of a data set before anything is read."""

from dataclasses import dataclass, field

from ffensembles.errors import DataError


@dataclass(frozen=True)
class Entry:
    """What must be known of a data set.

    Attributes
    ----------
    name, title
        Key in the configuration and in paths; name in print.
    order
        Its place in lists and tables, smallest first.
    classes
        Names of the classes, in the order of their labels.
    shape
        Channels, height, width.
    images
        How many there are to train on and to test on.
    mean, std
        Its own standardisation: of its training pixels, in 0..1.
    channel_mean, channel_std
        The same for each channel, as the study's later code has it; empty for grey images, whose
        only channel has `mean` and `std`.
    licence, origin
        Terms, and who made it.
    loader
        Module in `ffensembles.datasets` that obtains and reads it.
    urls
        Where the files lie in the open; a loader may know more places.
    files
        md5 of every file, by name. Without files nothing tells that images have changed.
    folder
        Folder of the files within the data folder.
    """

    name: str
    title: str
    order: int
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    images: tuple[int, int]
    mean: float
    std: float
    licence: str
    origin: str
    loader: str
    urls: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    channel_mean: tuple[float, ...] = ()
    channel_std: tuple[float, ...] = ()

    def scale(self, by_channel: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and deviation of each channel: its own, or the same for all.

        Raises
        ------
        DataError
            If colour images have none of their own.
        """
        if by_channel and self.channel_mean:
            return self.channel_mean, self.channel_std
        if by_channel and self.shape[0] > 1:
            raise DataError(
                f"{self.name}: its entry gives no channel_mean and channel_std; write them, or "
                "another data.standardisation than channel."
            )
        return (self.mean,) * self.shape[0], (self.std,) * self.shape[0]

    @property
    def module(self) -> str:
        """The module of its loader."""
        return f"ffensembles.datasets.{self.loader}"

    @property
    def declared(self) -> str:
        """The module of this entry."""
        return f"ffensembles.datasets.entries.{self.name}"
