with billed_costs as (

    select * from {{ ref('stg_llm_ops__billed_costs') }}

),

operations as (

    select * from {{ ref('fct_llm_operations') }}

),

bills as (

    select
        lower(provider) as provider,
        min(billed_date) as first_date,
        max(billed_date) as last_date
    from billed_costs
    group by lower(provider)

),

-- Business days are near those of UTC; what is stored by them can be skipped.
business_days as (

    select
        min(first_date) - 1 as first_date,
        max(last_date) + 1 as last_date
    from bills

),

recorded as (

    select
        cast(operations.started_at as date) as usage_date,
        bills.provider,
        lower(operations.model) as model,
        count(*) as operation_count,
        count(operations.unpriced_reason) as unpriced_operation_count,
        sum(operations.recorded_cost_usd) as recorded_cost_usd,
        sum(operations.list_cost_usd) as list_cost_usd,
        sum(operations.cost_usd) as cost_usd
    from operations
    inner join bills
        on
            lower(operations.provider) = bills.provider
            and cast(operations.started_at as date) between bills.first_date and bills.last_date
    where
        operations.operation_date >= (select business_days.first_date from business_days)
        and operations.operation_date <= (select business_days.last_date from business_days)
        and operations.is_rollup is not true
    group by cast(operations.started_at as date), bills.provider, lower(operations.model)

),

sides as (

    select
        billed_date as usage_date,
        lower(provider) as provider,
        lower(model) as model,
        1 as billed_line_count,
        0 as operation_count,
        0 as unpriced_operation_count,
        billed_cost_usd,
        cast(null as numeric(38, 12)) as recorded_cost_usd,
        cast(null as numeric(38, 12)) as list_cost_usd,
        cast(null as numeric(38, 12)) as cost_usd
    from billed_costs

    union all

    select
        usage_date,
        provider,
        model,
        0 as billed_line_count,
        operation_count,
        unpriced_operation_count,
        cast(null as numeric(38, 12)) as billed_cost_usd,
        recorded_cost_usd,
        list_cost_usd,
        cost_usd
    from recorded

),

grouped as (

    select
        usage_date,
        provider,
        model,

        cast(sum(billed_line_count) as bigint) as billed_line_count,
        cast(sum(operation_count) as bigint) as operation_count,
        cast(sum(unpriced_operation_count) as bigint) as unpriced_operation_count,

        cast(sum(billed_cost_usd) as numeric(38, 12)) as billed_cost_usd,
        cast(sum(recorded_cost_usd) as numeric(38, 12)) as recorded_cost_usd,
        cast(sum(list_cost_usd) as numeric(38, 12)) as list_cost_usd,
        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd,
        cast(coalesce(sum(billed_cost_usd), 0) - coalesce(sum(cost_usd), 0) as numeric(38, 12)) as variance_usd

    from sides
    group by usage_date, provider, model

),

final as (

    select
        {{ surrogate_key(['usage_date', 'provider', 'model']) }} as cost_reconciliation_id,

        provider,
        model,

        billed_line_count,
        operation_count,
        unpriced_operation_count,

        billed_cost_usd,
        recorded_cost_usd,
        list_cost_usd,
        cost_usd,
        variance_usd,
        cast(variance_usd as double precision) / nullif(cast(billed_cost_usd as double precision), 0) as variance_share,

        case when billed_line_count > 0 then operation_count > 0 end as is_allocated,

        usage_date

    from grouped

)

select * from final
