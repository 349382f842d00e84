{%- set counts = [
    'operation_count', 'unpriced_operation_count', 'without_usage_count', 'without_price_count', 'impossible_usage_count'
] %}
{%- set tokens = token_columns() + ['total_tokens', 'priced_tokens', 'unpriced_tokens'] %}
{%- set amounts = [
    'cost_usd', 'recorded_cost_usd', 'list_cost_usd', 'current_cost_usd', 'cache_savings_usd', 'batch_savings_usd'
] %}

with days as (

    select * from {{ ref('fct_daily_cost') }}

),

-- Weeks begin on Mondays.
periods as (

    select 'week' as period
    union all
    select 'month' as period

),

in_periods as (

    select
        days.*,
        periods.period,
        cast(date_trunc(periods.period, cast(days.operation_date as timestamp)) as date) as period_start_date
    from days
    cross join periods

),

grouped as (

    select
        period,
        period_start_date,
        workspace,
        agent_id,
        provider,
        model,
        operation_type,

        {%- for column in counts + tokens %}
        cast(sum({{ column }}) as bigint) as {{ column }},
        {%- endfor %}
        {%- for column in amounts %}
        cast(sum({{ column }}) as numeric(38, 12)) as {{ column }},
        {%- endfor %}

        min(operation_date) as first_operation_date,
        max(operation_date) as last_operation_date

    from in_periods
    group by period, period_start_date, workspace, agent_id, provider, model, operation_type

),

known as (

    select
        min(operation_date) as first_date,
        max(operation_date) as last_date
    from days

),

bounded as (

    select
        grouped.*,
        {{ last_day_of_period('grouped.period', 'grouped.period_start_date') }} as period_end_date,
        known.first_date,
        known.last_date
    from grouped
    cross join known

),

final as (

    select
        {{ surrogate_key([
            'period', 'period_start_date', 'workspace', 'agent_id', 'provider', 'model', 'operation_type'
        ]) }} as monthly_cost_id,
        {{ surrogate_key(['provider', 'model']) }} as model_id,

        period,
        period_start_date,
        period_end_date,
        greatest(period_start_date, first_date) as covered_from_date,
        least(period_end_date, last_date) as covered_to_date,
        cast(least(period_end_date, last_date) - greatest(period_start_date, first_date) + 1 as bigint)
            as covered_day_count,

        workspace,
        agent_id,
        provider,
        model,
        operation_type,

        {{ (counts + tokens + amounts) | join(',\n        ') }},
        {{ usd_per_1k('cost_usd', 'priced_tokens') }} as cost_per_1k_tokens_usd,

        first_operation_date,
        last_operation_date

    from bounded

)

select * from final
