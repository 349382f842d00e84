with source as (

    select * from {{ source('llm_ops', 'llm_prices') }}

),

renamed as (

    select
        {{ surrogate_key(['price_id', 'unit']) }} as unit_price_id,
        price_id,

        cast(unit as text) as unit,
        coalesce(cast(provider as text), '') as provider,
        cast(model as text) as model,
        cast(service_tier as text) as service_tier,
        cast(priced_provider as text) as priced_provider,
        cast(priced_model as text) as priced_model,
        cast(source as text) as price_source,
        cast(source_version as text) as source_version,

        cast(snapshot_number as bigint) as snapshot_number,
        cast(window_start_s as bigint) as window_start_s,
        cast(window_end_s as bigint) as window_end_s,
        tier_start,
        coalesce(tier_end, 9223372036854775807) as tier_end,
        cast(usd_per_unit as numeric(18, 15)) as usd_per_unit,

        coalesce({{ to_utc('valid_from') }}, cast('-infinity' as timestamp)) as valid_from_at,
        coalesce({{ to_utc('valid_to') }}, cast('infinity' as timestamp)) as valid_to_at,
        {{ to_utc('known_at') }} as known_at,
        {{ to_utc('applies_from') }} as applies_from_at

    from source

)

select * from renamed
