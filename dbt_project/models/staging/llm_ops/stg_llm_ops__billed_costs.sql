with source as (

    select * from {{ source('llm_ops', 'llm_billed_costs') }}

),

renamed as (

    select
        billed_cost_id,

        cast(source as text) as export_format,
        cast(invoice as text) as invoice,
        cast(provider as text) as provider,
        cast(model as text) as model,
        cast(line_item as text) as line_item,
        cast(project as text) as project,

        cast(amount_usd as numeric(38, 12)) as billed_cost_usd,

        billed_date,

        {{ to_utc('loaded_at') }} as loaded_at,
        loaded_at as loaded_at_instant

    from source

)

select * from renamed
