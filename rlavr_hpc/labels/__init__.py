"""Where labels come from. Only `acquisition.buy` asks a source."""
