{#
    The rows of a day in fct_daily_cost add up to its operations: counts, tokens and cost, exactly. The parts of the list cost
    add up to it, and the reasons why operations are unpriced to their number.
#}
{%- set days = days_to_check() %}
{%- set columns = token_columns() + [
    'total_tokens', 'cost_usd', 'recorded_cost_usd', 'list_cost_usd', 'current_cost_usd'
] %}

with operations as (

    select
        operation_date,
        {%- for column in columns %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        count(*) as operation_count,
        count(unpriced_reason) as unpriced_operation_count
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

),

daily as (

    select
        operation_date,
        {%- for column in columns %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(operation_count) as operation_count,
        sum(unpriced_operation_count) as unpriced_operation_count,
        sum(without_usage_count + without_price_count + impossible_usage_count) as reason_count,
        sum(
            list_input_cost_usd + list_cache_read_cost_usd + list_cache_write_cost_usd + list_output_cost_usd
            + list_reasoning_cost_usd + list_audio_cost_usd + list_request_cost_usd
        ) as list_parts_cost_usd
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
    or daily.reason_count is distinct from daily.unpriced_operation_count
    or daily.list_parts_cost_usd is distinct from daily.list_cost_usd
    {%- for column in columns %}
    or operations.{{ column }} is distinct from daily.{{ column }}
    {%- endfor %}
