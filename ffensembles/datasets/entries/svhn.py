"""SVHN."""

from ffensembles.datasets.entry import Entry

ENTRY = Entry(
    name="svhn",
    title="SVHN",
    order=4,
    classes=tuple("0123456789"),
    shape=(3, 32, 32),
    images=(73_257, 26_032),
    mean=0.4514,
    std=0.1993,
    licence="non-commercial use only",
    origin="99,289 house numbers seen from the street (Netzer et al. 2011), cropped digits",
    loader="svhn",
    urls=("http://ufldl.stanford.edu/housenumbers/",),
    files={
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    },
    folder="SVHN",
    channel_mean=(0.4377, 0.4438, 0.4728),
    channel_std=(0.1980, 0.2010, 0.1970),
)
