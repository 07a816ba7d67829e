# Airflow's official image with this project's pins. The two intervals keep a run of short tasks short: at their
# defaults of 1 s and 5 s it spends most of its time waiting. The data root is mounted at /data:
#   docker build -t essay-judgements . && docker run --rm -p 8080:8080 -v "$PWD/data:/data" essay-judgements standalone
FROM apache/airflow:3.3.2-python3.11

ENV PYTHONPATH=/opt/essay-judgements \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/essay-judgements/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/essay-judgements/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1 \
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1 \
    DD_DATA_ROOT=/data

WORKDIR /opt/essay-judgements
COPY --chown=airflow:0 requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=airflow:0 include ./include
COPY --chown=airflow:0 plugins ./plugins
COPY --chown=airflow:0 dags ./dags

VOLUME /data
USER airflow
