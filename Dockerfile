# The shop in a browser: docker compose up (docs/serve.md)
FROM python:3.12-slim
RUN pip install --no-cache-dir "torch>=2.13" --index-url https://download.pytorch.org/whl/cpu
COPY setup.cfg pyproject.toml README.md LICENSE /source/
COPY pricerl /source/pricerl
RUN pip install --no-cache-dir "/source[alerts,excel,serve]" && rm -r /source
RUN useradd --uid 1000 --create-home seller && install -d -o seller /shop
USER seller
WORKDIR /shop
EXPOSE 8321
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/login')"]
ENTRYPOINT ["pricerl"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8321", "--token_file", "/run/secrets/tokens"]
