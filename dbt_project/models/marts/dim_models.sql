with operations as (

    select * from {{ ref('fct_llm_operations') }}

),

models as (

    select
        provider,
        model,

        count(*) as operation_count,

        min(started_at) as first_used_at,
        max(started_at) as last_used_at

    from operations
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
