{# The hours of a day in fct_hourly_usage add up to the day in fct_daily_cost: operations, tokens and cost, exactly. #}
{%- set days = days_to_check() %}
{%- set columns = [
    'unpriced_operation_count', 'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
    'reasoning_tokens', 'total_tokens', 'priced_tokens', 'cost_usd'
] %}

with hourly as (

    select
        operation_date,
        {%- for column in columns %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(operation_count) as operation_count
    from {{ ref('fct_hourly_usage') }}
    where {{ falls_on(days) }}
    group by operation_date

),

daily as (

    select
        operation_date,
        {%- for column in columns %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(operation_count) as operation_count
    from {{ ref('fct_daily_cost') }}
    where {{ falls_on(days) }}
    group by operation_date

)

select
    coalesce(hourly.operation_date, daily.operation_date) as operation_date,
    hourly.operation_count,
    daily.operation_count as daily_operation_count,
    hourly.cost_usd,
    daily.cost_usd as daily_cost_usd
from hourly
full outer join daily on hourly.operation_date = daily.operation_date
where
    hourly.operation_count is distinct from daily.operation_count
    {%- for column in columns %}
    or hourly.{{ column }} is distinct from daily.{{ column }}
    {%- endfor %}
