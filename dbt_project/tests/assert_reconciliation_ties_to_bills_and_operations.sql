{#
    The rows of a provider's day add up to its bill, and to its operations if it is one of the days that bills go over:
    nothing is lost for want of a model or of somebody to lay it against, and nothing counts twice.
#}
with bills as (

    select
        billed_date as usage_date,
        lower(provider) as provider,
        count(*) as billed_line_count,
        sum(cast(amount_usd as numeric(38, 12))) as billed_cost_usd
    from {{ source('llm_ops', 'llm_billed_costs') }}
    group by billed_date, lower(provider)

),

spans as (

    select
        provider,
        min(usage_date) as first_date,
        max(usage_date) as last_date
    from bills
    group by provider

),

operations as (

    select
        cast(started_at as date) as usage_date,
        lower(provider) as provider,
        count(*) as operation_count,
        sum(recorded_cost_usd) as recorded_cost_usd,
        sum(list_cost_usd) as list_cost_usd,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_llm_operations') }}
    where lower(provider) in (select spans.provider from spans) and is_rollup is not true
    group by cast(started_at as date), lower(provider)

),

reconciled as (

    select
        usage_date,
        provider,
        sum(billed_line_count) as billed_line_count,
        sum(operation_count) as operation_count,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(recorded_cost_usd) as recorded_cost_usd,
        sum(list_cost_usd) as list_cost_usd,
        sum(cost_usd) as cost_usd,
        sum(variance_usd) as variance_usd
    from {{ ref('fct_cost_reconciliation') }}
    group by usage_date, provider

),

days as (

    select
        usage_date,
        provider
    from bills

    union

    select
        operations.usage_date,
        operations.provider
    from operations
    inner join spans on operations.provider = spans.provider
    where operations.usage_date between spans.first_date and spans.last_date

    union

    select
        usage_date,
        provider
    from reconciled

)

select
    days.usage_date,
    days.provider,
    bills.billed_cost_usd,
    reconciled.billed_cost_usd as reconciled_billed_cost_usd,
    operations.cost_usd,
    reconciled.cost_usd as reconciled_cost_usd
from days
left join bills on days.usage_date = bills.usage_date and days.provider = bills.provider
left join operations on days.usage_date = operations.usage_date and days.provider = operations.provider
left join reconciled on days.usage_date = reconciled.usage_date and days.provider = reconciled.provider
where
    coalesce(bills.billed_line_count, 0) <> coalesce(reconciled.billed_line_count, 0)
    or coalesce(operations.operation_count, 0) <> coalesce(reconciled.operation_count, 0)
    or bills.billed_cost_usd is distinct from reconciled.billed_cost_usd
    or operations.recorded_cost_usd is distinct from reconciled.recorded_cost_usd
    or operations.list_cost_usd is distinct from reconciled.list_cost_usd
    or operations.cost_usd is distinct from reconciled.cost_usd
    or coalesce(bills.billed_cost_usd, 0) - coalesce(operations.cost_usd, 0) is distinct from reconciled.variance_usd
