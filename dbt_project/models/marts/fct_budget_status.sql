with periods as (

    select * from {{ ref('int_budget_periods') }}

),

days as (

    select * from {{ ref('fct_daily_cost') }}

),

spending as (

    select
        periods.budget_period_id,

        coalesce(sum(days.operation_count), 0) as operation_count,
        coalesce(sum(days.unpriced_operation_count), 0) as unpriced_operation_count,
        sum(days.cost_usd) as cost_usd,
        coalesce(sum(case when days.operation_date < periods.as_of_date then days.cost_usd end), 0) as earlier_cost_usd

    from periods
    left join days
        on
            periods.period_start_date <= days.operation_date
            and least(periods.period_end_date, periods.as_of_date) >= days.operation_date
            and case periods.scope
                when 'all' then true
                when 'workspace' then periods.scope_value = days.workspace
                when 'agent' then periods.scope_value = days.agent_id
                when 'provider' then periods.scope_value = days.provider
                when 'model' then periods.scope_value = days.model
            end
    group by periods.budget_period_id

),

spent as (

    select
        periods.*,

        spending.operation_count,
        spending.unpriced_operation_count,

        cast(
            coalesce(spending.cost_usd, case when spending.unpriced_operation_count = 0 then 0 end) as numeric(38, 12)
        ) as spent_usd,

        periods.period_end_date >= periods.as_of_date as is_current,

        -- As many days of earlier_cost_usd as the period has, for each that is complete.
        cast(
            spending.earlier_cost_usd * (periods.period_end_date - periods.period_start_date + 1) as numeric(38, 12)
        ) as earlier_cost_by_days_usd,
        periods.as_of_date - periods.period_start_date as complete_days

    from periods
    inner join spending on periods.budget_period_id = spending.budget_period_id

),

forecasts as (

    select
        *,
        case
            when not is_current then spent_usd
            when spent_usd is not null and complete_days > 0
                then greatest(spent_usd, {{ usd_per_1k('earlier_cost_by_days_usd', '(1000 * complete_days)') }})
        end as forecast_usd
    from spent

),

final as (

    select
        budget_period_id,

        budget_name,
        scope,
        scope_value,
        period,

        cast(operation_count as bigint) as operation_count,
        cast(unpriced_operation_count as bigint) as unpriced_operation_count,

        cast(budget_usd as numeric(38, 12)) as budget_usd,
        spent_usd,
        forecast_usd,
        cast(spent_usd as double precision) / cast(budget_usd as double precision) as spent_share,

        is_current,
        spent_usd > budget_usd as is_breached,
        spent_usd > budget_usd or forecast_usd > budget_usd as is_forecast_breached,

        period_start_date,
        period_end_date,
        as_of_date

    from forecasts

)

select * from final
