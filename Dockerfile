# docker build -t ssl-behavior .
# docker run --rm -v "$PWD:/data" ssl-behavior demo --out demo
#
# With a GPU: a base image that has Python (3.11 or newer), torch and CUDA, and no torch from pip:
# docker build -t ssl-behavior-gpu --build-arg BASE=IMAGE --build-arg TORCH= .
# docker run --rm --gpus all -v "$PWD:/data" ssl-behavior-gpu pretrain store --out run

ARG BASE=python:3.11-slim
FROM ${BASE}

# torch: a requirement for pip; empty = the torch of the base image. On x86-64, pip takes a build for CUDA of several
# GB, unless PIP_EXTRA_INDEX_URL names an index with CPU builds.
ARG TORCH=torch==2.13.0
ARG PIP_EXTRA_INDEX_URL=

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# torch has a layer of its own: a change of the package does not install it again.
RUN if [ -n "$TORCH" ]; then python -m pip install "$TORCH"; fi

WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY ssl_behavior ssl_behavior
COPY pretrain pretrain
COPY probe probe
# Without the line of torch, so that the torch of a base image stays; "requirement already satisfied" keeps both.
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && python -m pip install -c /tmp/constraints.txt '.[plots,store]' \
    && rm -rf /src/* /tmp/constraints.txt

RUN useradd --create-home --non-unique --uid 1000 user && mkdir -p /data && chown 1000 /data
USER 1000
WORKDIR /data
# Files in the mounted folder belong to user 1000; for another user: docker run --user "$(id -u):$(id -g)" ...
ENV HOME=/tmp

ENTRYPOINT ["ssl-behavior"]
CMD ["--help"]
