# ppo on CPUs. From the checkout's folder:
#   docker build -f docker/cpu.Dockerfile -t ppo .
#   docker run --rm -it -v "$PWD:/work" -v ppo-cache:/cache ppo demo
FROM python:3.12-slim AS build
ENV UV_TORCH_BACKEND=cpu UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY constraints.txt ./
# torch apart: its layer stays as it is while the program changes.
RUN uv venv /opt/ppo && uv pip install --no-cache --python /opt/ppo -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY ppo_cli ppo_cli
RUN uv pip install --no-cache --python /opt/ppo -c constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/ppo /opt/ppo
RUN mkdir /work /cache && chown 1000 /work && chmod 1777 /cache
ENV PATH=/opt/ppo/bin:$PATH PPO_CACHE=/cache XDG_STATE_HOME=/cache/state HOME=/tmp
USER 1000
WORKDIR /work
ENTRYPOINT ["ppo"]
CMD ["--help"]
