# Airflow's official image with this project's pins. The two intervals keep a run of short tasks short: at their
# defaults of 1 s and 5 s it spends most of its time waiting. The data root is mounted at /data:
#   docker build -t essay-judgements . && docker run --rm -p 8080:8080 -v "$PWD/data:/data" essay-judgements standalone
FROM apache/airflow:3.3.2-python3.11

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/essay-judgements/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1 \
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1 \
    DD_DATA_ROOT=/data

WORKDIR /opt/essay-judgements
COPY --chown=airflow:0 requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
# Both packages, the command `cohorts`, and by entry point the page: no plugins folder is needed.
COPY --chown=airflow:0 pyproject.toml README.md ./
COPY --chown=airflow:0 include ./include
RUN pip install --no-cache-dir --no-deps . && rm -r include
COPY --chown=airflow:0 dags ./dags

VOLUME /data
USER airflow
