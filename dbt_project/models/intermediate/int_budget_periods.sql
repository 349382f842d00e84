with recursive budgets as (

    select
        budget_name,
        scope,
        scope_value,
        period,
        amount_usd as budget_usd,
        starts_on,
        ends_on,
        {{ budget_as_of_date() }} as as_of_date
    from {{ seeded('budgets') }} as seed

),

-- From the day that the budget starts, one calendar period after the other.
calendar as (

    select
        *,
        starts_on as period_start_date,
        {{ last_day_of_period('period', 'starts_on') }} as calendar_end_date
    from budgets
    where starts_on <= as_of_date

    union all

    select
        budget_name,
        scope,
        scope_value,
        period,
        budget_usd,
        starts_on,
        ends_on,
        as_of_date,
        calendar_end_date + 1 as period_start_date,
        {{ last_day_of_period('period', 'calendar_end_date + 1') }} as calendar_end_date
    from calendar
    where calendar_end_date < least(as_of_date, coalesce(ends_on, as_of_date))

),

final as (

    select
        {{ surrogate_key(['budget_name', 'period_start_date']) }} as budget_period_id,

        budget_name,
        scope,
        scope_value,
        period,

        budget_usd,

        period_start_date,
        least(calendar_end_date, coalesce(ends_on, calendar_end_date)) as period_end_date,
        as_of_date

    from calendar

)

select * from final
