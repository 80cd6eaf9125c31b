# facetag on a CPU: the command and its models, run by a user without rights.
#
#     docker build -t facetag .
#     docker run --rm --network none -v "$PWD/photos:/photos:ro" -v "$PWD/out:/out" --user "$(id -u)" \
#         facetag predict /photos --out /out/tags.csv
FROM python:3.11-slim-bookworm AS build

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE LICENSE-WEIGHTS.md ./
COPY src src
COPY models models
COPY docs/facetag.1 docs/facetag.1
# torch from its own index: the CPU build is a tenth of the other. opencv-python needs libraries of a desktop that its
# headless sister does without; both are the same module.
RUN python -m venv /opt/facetag \
    && /opt/facetag/bin/pip install --no-cache-dir --constraint constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu '.[heic,parquet]' \
    && /opt/facetag/bin/pip uninstall --yes opencv-python \
    && /opt/facetag/bin/pip install --no-cache-dir --no-deps \
        "opencv-python-headless==$(sed -n 's/^opencv-python==//p' constraints.txt)"

FROM python:3.11-slim-bookworm

COPY --from=build /opt/facetag /opt/facetag
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent facetag
ENV PATH=/opt/facetag/bin:$PATH
USER 10001
WORKDIR /photos
ENTRYPOINT ["facetag"]
CMD ["--help"]
