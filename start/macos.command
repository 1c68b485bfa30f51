#!/bin/sh
# Open pricerl in the browser; the first time, start.py says what it downloads, and asks.
for python in python3.13 python3.12 python3.11 python3.10 python3; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    exec "$python" "$(dirname "$0")/start.py"
  fi
done
echo "Python 3.10 or newer is needed: https://www.python.org/downloads/"
exit 1
