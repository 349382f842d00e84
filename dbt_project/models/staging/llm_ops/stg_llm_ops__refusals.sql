with source as (

    select * from {{ source('llm_ops', 'llm_refusals') }}

),

renamed as (

    select
        refusal_id,

        cast(kind as text) as refusal_kind,

        refused_count,

        {{ business_date(to_utc('refused_at')) }} as refused_date,

        {{ to_utc('refused_at') }} as refused_at

    from source

)

select * from renamed
