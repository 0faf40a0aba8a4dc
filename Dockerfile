# faceren's command line, without PyTorch:
#   docker build -t faceren .
#   docker run --rm --network none -u "$(id -u)" -v "$PWD:/photos" faceren restore old_photos/ -o out/
FROM python:3.13-slim-bookworm

# what OpenCV's library is linked to
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md LICENSE /faceren/
COPY faceren /faceren/faceren
COPY models /faceren/models
COPY sample_photos /faceren/sample_photos
RUN pip install --no-cache-dir /faceren && rm -r /faceren

WORKDIR /photos
USER 1000
ENTRYPOINT ["faceren"]
CMD ["--help"]
