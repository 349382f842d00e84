{# Every budget says what it is for, how much and when; no two rows of a name are for the same day. #}
{%- set problems %}
with budgets as (

    select * from {{ seeded('budgets') }} as seed

),

problems as (

    select
        budget_name,
        'has no name' as problem
    from budgets
    where coalesce(trim(budget_name), '') = ''

    union all

    select
        budget_name,
        'has the scope ' || coalesce(scope, '(none)') || ', not workspace, agent, provider, model or all'
    from budgets
    where coalesce(scope, '') not in ('workspace', 'agent', 'provider', 'model', 'all')

    union all

    select
        budget_name,
        'has the scope ' || scope || ' but no scope_value'
    from budgets
    where scope in ('workspace', 'agent', 'provider', 'model') and coalesce(trim(scope_value), '') = ''

    union all

    select
        budget_name,
        'has the scope all but the scope_value ' || scope_value
    from budgets
    where scope = 'all' and coalesce(trim(scope_value), '') <> ''

    union all

    select
        budget_name,
        'has the period ' || coalesce(period, '(none)') || ', not day, week, month, quarter or year'
    from budgets
    where coalesce(period, '') not in ('day', 'week', 'month', 'quarter', 'year')

    union all

    select
        budget_name,
        'has the amount_usd ' || coalesce(cast(amount_usd as text), '(none)') || ', which must be more than 0'
    from budgets
    where coalesce(amount_usd, 0) <= 0

    union all

    select
        budget_name,
        'has no starts_on'
    from budgets
    where starts_on is null

    union all

    select
        budget_name,
        'ends on ' || cast(ends_on as text) || ', before it starts'
    from budgets
    where ends_on < starts_on

    union all

    select
        budget_name,
        'has more than one amount on ' || cast(starts_on as text)
    from (
        select
            *,
            max(coalesce(ends_on, date '9999-12-31')) over (
                partition by budget_name order by starts_on
                range between unbounded preceding and current row exclude current row
            ) as ended_before
        from budgets
    ) as rows_in_order
    where ended_before >= starts_on

)

select
    'budgets.csv: the budget ' || coalesce(nullif(trim(budget_name), ''), '(without a name)') || ' ' || problem as problem
from problems
order by problem
{%- endset %}

{{ telling(problems) }}
