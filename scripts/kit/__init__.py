"""The hardware kit: how it is packed, and how it runs where there is a GPU and no source tree."""
