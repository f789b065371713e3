# mtmc on a CPU; with --build-arg TORCH=cuda for NVIDIA GPUs (run with --gpus all).
FROM python:3.12-slim-bookworm

ARG TORCH=cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mtmc
RUN if [ "$TORCH" = cpu ]; then \
        pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu; \
    fi
COPY . .
RUN pip install --no-cache-dir --editable '.[web,mqtt,redis]'

# Networks that are converted for OpenVINO are kept here; mount a volume to keep them over restarts.
ENV MTMC_CACHE=/var/cache/mtmc HOME=/tmp
# Any user may be chosen with --user, so that results belong to who owns the mounted folder.
RUN useradd --uid 1000 mtmc && mkdir -p /var/cache/mtmc && chmod 1777 /var/cache/mtmc
USER mtmc
WORKDIR /site
ENTRYPOINT ["mtmc"]
CMD ["--help"]
