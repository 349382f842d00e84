{#
    Every day to check of the mart was built from the rows that the raw tables held when the build began; none is missing or
    left over.
#}
{{ config(severity = lag_severity()) }}
{%- set days = days_to_check() %}

with raw_days as (

    select * from {{ ref('int_operation_days') }}
    where {{ falls_on(days) }}

),

operations as (

    select * from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}

),

mart_days as (

    {{ day_fingerprints('operations') }}

)

select
    coalesce(raw_days.operation_date, mart_days.operation_date) as operation_date,
    raw_days.day_fingerprint as raw_day_fingerprint,
    mart_days.day_fingerprint as mart_day_fingerprint
from raw_days
full outer join mart_days on raw_days.operation_date = mart_days.operation_date
where raw_days.day_fingerprint is distinct from mart_days.day_fingerprint
