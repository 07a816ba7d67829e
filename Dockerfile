# Airflow's official image with this project's pins: one machine, or many with compose.yaml and deploy/kubernetes/.
# SCHEDULER_IDLE_SLEEP_TIME and MIN_HEARTBEAT_INTERVAL are short, because a run of short tasks would spend most of its
# time waiting with their defaults of 1 s and 5 s. Mount the data root at /data:
#   docker build -t essay-judgements . && docker run --rm -p 8080:8080 -v "$PWD/data:/data" essay-judgements standalone
FROM apache/airflow:3.3.2-python3.11

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/essay-judgements/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1 \
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1 \
    DD_DATA_ROOT=/data

WORKDIR /opt/essay-judgements
# The pins of requirements.txt, and the providers of Celery and PostgreSQL.
COPY --chown=airflow:0 requirements-cluster.txt ./
RUN pip install --no-cache-dir -r requirements-cluster.txt
# Installs both packages and the command `cohorts`. The page comes by an entry point, so no plugins folder is needed.
COPY --chown=airflow:0 pyproject.toml README.md ./
COPY --chown=airflow:0 include ./include
RUN pip install --no-cache-dir --no-deps . && rm -r include
COPY --chown=airflow:0 dags ./dags

VOLUME /data
USER airflow
