{# The rows of a day in fct_daily_latency count its operations and failures and span its latencies. #}
{%- set days = days_to_check() %}

with operations as (

    select
        operation_date,
        count(*) as operation_count,
        count(latency_ms) as timed_operation_count,
        count(case when is_error then 1 end) as error_count,
        count(case when is_error is null then 1 end) as unknown_status_count,
        min(latency_ms) as min_latency_ms,
        max(latency_ms) as max_latency_ms
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

),

daily as (

    select
        operation_date,
        sum(operation_count) as operation_count,
        sum(timed_operation_count) as timed_operation_count,
        sum(error_count) as error_count,
        sum(unknown_status_count) as unknown_status_count,
        min(min_latency_ms) as min_latency_ms,
        max(max_latency_ms) as max_latency_ms
    from {{ ref('fct_daily_latency') }}
    where {{ falls_on(days) }}
    group by operation_date

)

select
    coalesce(operations.operation_date, daily.operation_date) as operation_date,
    operations.operation_count,
    daily.operation_count as daily_operation_count
from operations
full outer join daily on operations.operation_date = daily.operation_date
where
    operations.operation_count is distinct from daily.operation_count
    or operations.timed_operation_count is distinct from daily.timed_operation_count
    or operations.error_count is distinct from daily.error_count
    or operations.unknown_status_count is distinct from daily.unknown_status_count
    or operations.min_latency_ms is distinct from daily.min_latency_ms
    or operations.max_latency_ms is distinct from daily.max_latency_ms
