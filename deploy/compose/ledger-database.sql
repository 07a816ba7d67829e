CREATE DATABASE essay_ledger;
