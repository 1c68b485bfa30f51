"""Command line of pricerl: ``python -m pricerl --help``."""

from pricerl.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
