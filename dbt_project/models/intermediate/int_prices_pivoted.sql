{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

{%- set cached_audio = ['cache_audio_read_tokens', 'cache_read_tokens', 'input_audio_tokens', 'input_tokens'] %}

with prices as (

    select
        *,
        {{ is_measured('unit') }} as is_measured_unit
    from {{ ref('stg_llm_ops__prices') }}

),

pivoted as (

    select
        price_id,
        provider,
        model,
        service_tier,
        snapshot_number,
        applies_from_at,
        known_at,
        valid_from_at,
        valid_to_at,
        window_start_s,
        window_end_s,
        tier_start,
        tier_end,
        priced_provider,
        priced_model,
        source_version,
        case when max(price_source) = min(price_source) then max(price_source) else 'both' end as price_source,

        {%- for unit in measured_units() %}
        max(case when unit = '{{ unit }}' then usd_per_unit end) as {{ unit }}_price,
        {%- endfor %}

        count(case when is_measured_unit then 1 end) as measured_unit_count,
        string_agg(case when not is_measured_unit then unit end, ', ' order by unit) as unmeasured_units

    from prices
    group by
        price_id, provider, model, service_tier, snapshot_number, applies_from_at, known_at, valid_from_at, valid_to_at,
        window_start_s, window_end_s, tier_start, tier_end, priced_provider, priced_model, source_version

),

-- What has no price of its own has that of what it is part of.
rated as (

    select
        *,

        {{ rate_of(['input_tokens']) }} as plain_input_rate,
        {{ rate_of(['cache_read_tokens', 'input_tokens']) }} as cache_read_rate,
        {{ rate_of(['cache_write_tokens', 'input_tokens']) }} as cache_write_rate,
        {{ rate_of(['cache_write_1h_tokens', 'cache_write_tokens', 'input_tokens']) }} as cache_write_1h_rate,
        {{ rate_of(['input_audio_tokens', 'input_tokens']) }} as input_audio_rate,
        {{ rate_of(cached_audio) }} as cache_read_audio_rate,
        {{ rate_of(['output_tokens']) }} as plain_output_rate,
        {{ rate_of(['output_reasoning_tokens', 'output_tokens']) }} as reasoning_rate,
        {{ rate_of(['output_audio_tokens', 'output_tokens']) }} as output_audio_rate,
        {{ rate_of(['requests']) }} as request_rate,

        measured_unit_count > 0 as is_measured,
        input_tokens_price is not null as has_input_price,
        output_tokens_price is not null as has_output_price

    from pivoted

),

-- What the same would have cost in a batch: every service tier of a snapshot has the same stretches.
final as (

    select
        {%- for kind in priced_kinds() %}
        batch.{{ kind }}_rate as batch_{{ kind }}_rate,
        {%- endfor %}
        {{ rates_differ('rated', 'batch') }} as has_batch_discount,
        {{ rates_are_small([('rated', ''), ('batch', '')]) }} as has_small_rates,
        rated.*
    from rated
    left join rated as batch
        on
            rated.provider = batch.provider
            and rated.model = batch.model
            and rated.snapshot_number = batch.snapshot_number
            and rated.valid_from_at = batch.valid_from_at
            and rated.window_start_s = batch.window_start_s
            and rated.tier_start = batch.tier_start
            and rated.service_tier <> 'batch'
            and batch.service_tier = 'batch'

)

select * from final
