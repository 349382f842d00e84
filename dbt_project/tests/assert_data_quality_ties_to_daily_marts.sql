{# A day counts as many operations, unpriced ones and ones without a latency as the daily marts. #}
{%- set days = days_to_check() %}

with quality as (

    select
        operation_date,
        operation_count,
        unpriced_operation_count,
        missing_latency_count
    from {{ ref('fct_data_quality') }}
    where {{ falls_on(days) }} and operation_count > 0

),

costs as (

    select
        operation_date,
        sum(operation_count) as operation_count,
        sum(unpriced_operation_count) as unpriced_operation_count
    from {{ ref('fct_daily_cost') }}
    where {{ falls_on(days) }}
    group by operation_date

),

latencies as (

    select
        operation_date,
        sum(operation_count) as operation_count,
        sum(operation_count - timed_operation_count) as missing_latency_count
    from {{ ref('fct_daily_latency') }}
    where {{ falls_on(days) }}
    group by operation_date

),

days as (

    select operation_date from quality
    union
    select operation_date from costs
    union
    select operation_date from latencies

)

select
    days.operation_date,
    quality.operation_count,
    costs.operation_count as priced_and_unpriced_operation_count,
    latencies.operation_count as timed_and_other_operation_count
from days
left join quality on days.operation_date = quality.operation_date
left join costs on days.operation_date = costs.operation_date
left join latencies on days.operation_date = latencies.operation_date
where
    quality.operation_count is distinct from costs.operation_count
    or quality.operation_count is distinct from latencies.operation_count
    or quality.unpriced_operation_count is distinct from costs.unpriced_operation_count
    or quality.missing_latency_count is distinct from latencies.missing_latency_count
