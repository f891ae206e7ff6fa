"""Digits."""

from ffensembles.datasets.entry import Entry

ENTRY = Entry(
    name="digits",
    title="Digits",
    order=0,
    classes=tuple("0123456789"),
    shape=(1, 28, 28),
    images=(1437, 360),
    mean=0.1725,
    std=0.3060,
    licence="CC BY 4.0",
    origin="1,797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998)",
    loader="digits",
)
