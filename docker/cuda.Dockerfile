# ppo on NVIDIA GPUs. From the checkout's folder, on a host with the NVIDIA container toolkit:
#   docker build -f docker/cuda.Dockerfile -t ppo-cuda .
#   docker run --rm -it --gpus all -v "$PWD:/work" -v ppo-cache:/cache ppo-cuda demo
# The usual build of torch brings the CUDA libraries that it needs, so the base is the one without them.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY constraints.txt ./
# torch apart: its layer stays as it is while the program changes.
RUN /opt/uv/bin/uv venv --python /usr/bin/python3 /opt/ppo \
    && /opt/uv/bin/uv pip install --no-cache --python /opt/ppo -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY ppo_cli ppo_cli
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/ppo -c constraints.txt .
RUN mkdir /work /cache && chown 1000 /work && chmod 1777 /cache
ENV PATH=/opt/ppo/bin:$PATH PPO_CACHE=/cache XDG_STATE_HOME=/cache/state HOME=/tmp
USER 1000
WORKDIR /work
ENTRYPOINT ["ppo"]
CMD ["--help"]
