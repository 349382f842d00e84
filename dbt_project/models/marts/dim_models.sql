with days as (

    select * from {{ ref('fct_daily_cost') }}

),

models as (

    select
        provider,
        model,

        cast(sum(operation_count) as bigint) as operation_count,

        min(first_operation_at) as first_used_at,
        max(last_operation_at) as last_used_at

    from days
    group by provider, model

),

final as (

    select
        {{ surrogate_key(['provider', 'model']) }} as model_id,
        provider,
        model,
        operation_count,
        first_used_at,
        last_used_at

    from models

)

select * from final
