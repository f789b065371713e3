# mtmc on a CPU; with --build-arg TORCH=cuda for NVIDIA GPUs (run with --gpus all).
FROM python:3.12-slim-bookworm

ARG TORCH=cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mtmc
# PyTorch for a CPU is on an index of its own; both variants have the version that the tests ran with.
ARG TORCH_PACKAGES="torch==2.14.1 torchvision==0.29.1"
COPY deploy/requirements.lock deploy/requirements.lock
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement deploy/requirements.lock \
    && if [ "$TORCH" = cpu ]; then \
        pip install --no-cache-dir --no-deps $TORCH_PACKAGES --index-url https://download.pytorch.org/whl/cpu; \
    else \
        pip install --no-cache-dir $TORCH_PACKAGES; \
    fi
COPY . .
RUN pip install --no-cache-dir --no-build-isolation --editable '.[web,mqtt,redis,kafka]'

# Networks that are converted for OpenVINO are kept here; mount a volume to keep them over restarts.
ENV MTMC_CACHE=/var/cache/mtmc HOME=/tmp
# Any user may be chosen with --user, so that results belong to who owns the mounted folder.
RUN useradd --uid 1000 mtmc && mkdir -p /var/cache/mtmc && chmod 1777 /var/cache/mtmc
USER mtmc
WORKDIR /site
ENTRYPOINT ["mtmc"]
CMD ["--help"]
