{# The sessions of a day add up to its operations: counts, tokens, latencies and cost, exactly. #}
{%- set days = days_to_check() %}

with operations as (

    select
        operation_date,
        count(*) as operation_count,
        count(case when is_error then 1 end) as error_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(total_tokens) as total_tokens,
        sum(latency_ms) as total_latency_ms,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

),

daily as (

    select
        operation_date,
        sum(operation_count) as operation_count,
        sum(error_count) as error_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(total_tokens) as total_tokens,
        sum(total_latency_ms) as total_latency_ms,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_daily_sessions') }}
    where {{ falls_on(days) }}
    group by operation_date

)

select
    coalesce(operations.operation_date, daily.operation_date) as operation_date,
    operations.operation_count,
    daily.operation_count as daily_operation_count,
    operations.cost_usd,
    daily.cost_usd as daily_cost_usd
from operations
full outer join daily on operations.operation_date = daily.operation_date
where
    operations.operation_count is distinct from daily.operation_count
    or operations.error_count is distinct from daily.error_count
    or operations.input_tokens is distinct from daily.input_tokens
    or operations.output_tokens is distinct from daily.output_tokens
    or operations.total_tokens is distinct from daily.total_tokens
    or operations.total_latency_ms is distinct from daily.total_latency_ms
    or operations.cost_usd is distinct from daily.cost_usd
