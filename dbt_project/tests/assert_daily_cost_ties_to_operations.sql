{# The rows of a day in fct_daily_cost add up to its operations: counts, tokens and cost, exactly. #}
{%- set days = days_to_check() %}

with operations as (

    select
        operation_date,
        count(*) as operation_count,
        count(case when not is_priced then 1 end) as unpriced_operation_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(total_tokens) as total_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

),

daily as (

    select
        operation_date,
        sum(operation_count) as operation_count,
        sum(unpriced_operation_count) as unpriced_operation_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(total_tokens) as total_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_daily_cost') }}
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
    or operations.unpriced_operation_count is distinct from daily.unpriced_operation_count
    or operations.input_tokens is distinct from daily.input_tokens
    or operations.output_tokens is distinct from daily.output_tokens
    or operations.total_tokens is distinct from daily.total_tokens
    or operations.cache_read_tokens is distinct from daily.cache_read_tokens
    or operations.cache_write_tokens is distinct from daily.cache_write_tokens
    or operations.reasoning_tokens is distinct from daily.reasoning_tokens
    or operations.cost_usd is distinct from daily.cost_usd
