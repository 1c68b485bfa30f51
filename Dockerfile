# The shop in a browser: docker compose up (docs/serve.md)
# Python 3.11 for x86-64, for which requirements/cpu.lock has the hash of torch.
FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
COPY requirements /source/requirements
RUN pip install --no-cache-dir --no-deps --require-hashes -r /source/requirements/light.lock -r /source/requirements/extras.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r /source/requirements/cpu.lock
COPY setup.cfg pyproject.toml README.md LICENSE /source/
COPY pricerl /source/pricerl
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index /source && rm -r /source
RUN useradd --uid 1000 --create-home seller && install -d -o seller /shop && install -d -o seller -m 700 /keys
USER seller
WORKDIR /shop
EXPOSE 8321
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/login')"]
ENTRYPOINT ["pricerl"]
