with days as (

    select * from {{ ref('fct_daily_cost') }}

),

prices as (

    select * from {{ ref('int_prices_pivoted') }}

),

models as (

    select
        provider,
        model,

        cast(sum(operation_count) as bigint) as operation_count,
        cast(sum(unpriced_operation_count) as bigint) as unpriced_operation_count,
        cast(sum(without_price_count) as bigint) as without_price_count,

        min(first_operation_at) as first_used_at,
        max(last_operation_at) as last_used_at

    from days
    group by provider, model

),

newest_prices as (

    select
        *,
        max(snapshot_number) over (partition by provider, model) as newest_snapshot_number
    from prices

),

known_prices as (

    select
        provider,
        model,
        max(priced_provider || '/' || priced_model) as priced_as,
        max(known_at) as price_known_at,
        max(case when is_measured then 1 else 0 end) = 1 as is_measured
    from newest_prices
    where snapshot_number = newest_snapshot_number
    group by provider, model

),

final as (

    select
        {{ surrogate_key(['models.provider', 'models.model']) }} as model_id,
        models.provider,
        models.model,

        case
            when known_prices.is_measured then 'known'
            when known_prices.model is not null then 'unmeasured_units'
            when models.model is null or models.model = '' then 'no_model'
            else 'unknown'
        end as price_status,
        known_prices.priced_as,

        models.operation_count,
        models.unpriced_operation_count,
        models.without_price_count,

        models.first_used_at,
        models.last_used_at,
        known_prices.price_known_at

    from models
    left join known_prices
        on coalesce(models.provider, '') = known_prices.provider and models.model = known_prices.model

)

select * from final
