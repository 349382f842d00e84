with prices as (

    select * from {{ ref('int_prices_pivoted') }}

),

final as (

    select
        price_id,
        {{ surrogate_key(["nullif(provider, '')", 'model']) }} as model_id,
        nullif(provider, '') as provider,
        model,
        service_tier,
        snapshot_number,
        priced_provider,
        priced_model,
        price_source,
        source_version,

        {%- for column in [
            'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'cache_write_1h_tokens', 'input_audio_tokens',
            'cache_audio_read_tokens', 'output_tokens', 'output_reasoning_tokens', 'output_audio_tokens'
        ] %}
        cast(cast({{ column }}_price as numeric(38, 15)) * 1000000 as numeric(38, 12))
            as {{ column | replace('_tokens', '') }}_usd_per_mtok,
        {%- endfor %}
        cast(requests_price as numeric(38, 12)) as request_usd,
        unmeasured_units,

        tier_start as min_input_tokens,
        nullif(tier_end, 9223372036854775807) - 1 as max_input_tokens,
        window_start_s as window_start_second,
        window_end_s as window_end_second,

        nullif(valid_from_at, cast('-infinity' as timestamp)) as valid_from_at,
        nullif(valid_to_at, cast('infinity' as timestamp)) as valid_to_at,
        known_at,
        applies_from_at as applies_to_loaded_from_at

    from prices

)

select * from final
