{# Every day of the mart was built from the rows that the raw tables hold now; no raw day is missing or left over. #}
{{ config(severity = lag_severity()) }}

with raw_days as (

    select * from {{ ref('int_operation_days') }}

),

mart_days as (

    {{ day_fingerprints(ref('fct_llm_operations')) }}

)

select
    coalesce(raw_days.operation_date, mart_days.operation_date) as operation_date,
    raw_days.day_fingerprint as raw_day_fingerprint,
    mart_days.day_fingerprint as mart_day_fingerprint
from raw_days
full outer join mart_days on raw_days.operation_date = mart_days.operation_date
where raw_days.day_fingerprint is distinct from mart_days.day_fingerprint
