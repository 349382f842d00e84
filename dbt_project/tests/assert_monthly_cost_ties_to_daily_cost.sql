{#
    The days in fct_daily_cost add up to all weeks and to all months in fct_monthly_cost: operations, tokens and cost, exactly.
    No day of them lies outside its period.
#}
{%- set columns = ['unpriced_operation_count', 'total_tokens', 'priced_tokens', 'cost_usd'] %}

with daily as (

    select
        {%- for column in columns %}
        coalesce(sum({{ column }}), 0) as {{ column }},
        {%- endfor %}
        coalesce(sum(operation_count), 0) as operation_count
    from {{ ref('fct_daily_cost') }}

),

periods as (

    select
        kinds.period,
        {%- for column in columns %}
        coalesce(sum(monthly.{{ column }}), 0) as {{ column }},
        {%- endfor %}
        coalesce(sum(monthly.operation_count), 0) as operation_count,
        count(
            case
                when
                    monthly.first_operation_date < monthly.covered_from_date
                    or monthly.last_operation_date > monthly.covered_to_date
                    then 1
            end
        ) as stray_count
    from (
        select 'week' as period
        union all
        select 'month' as period
    ) as kinds
    left join {{ ref('fct_monthly_cost') }} as monthly on kinds.period = monthly.period
    group by kinds.period

)

select
    periods.period,
    periods.operation_count,
    daily.operation_count as daily_operation_count,
    periods.cost_usd,
    daily.cost_usd as daily_cost_usd
from periods
cross join daily
where
    periods.stray_count > 0
    or periods.operation_count <> daily.operation_count
    {%- for column in columns %}
    or periods.{{ column }} <> daily.{{ column }}
    {%- endfor %}
