{# What a budget is for occurs among the operations; one that is misspelt would never be spent. #}
{{ config(severity = 'warn') }}
{%- set unknown %}
with recorded as (

    select
        'workspace' as scope,
        workspace as scope_value
    from {{ ref('fct_daily_cost') }}

    union

    select
        'agent' as scope,
        agent_id as scope_value
    from {{ ref('fct_daily_cost') }}

    union

    select
        'provider' as scope,
        provider as scope_value
    from {{ ref('fct_daily_cost') }}

    union

    select
        'model' as scope,
        model as scope_value
    from {{ ref('fct_daily_cost') }}

)

select
    'The budget ' || coalesce(budgets.budget_name, '(without a name)') || ' is for the ' || budgets.scope || ' ' || budgets.scope_value
    || ', of which there are no operations' as problem
from {{ seeded('budgets') }} as budgets
left join recorded on budgets.scope = recorded.scope and budgets.scope_value = recorded.scope_value
where budgets.scope <> 'all' and recorded.scope is null
order by problem
{%- endset %}

{{ telling(unknown) }}
