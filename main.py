"""Command line of pricerl: ``python main.py --help``."""

from pricerl.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
