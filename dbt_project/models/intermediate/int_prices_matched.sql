{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with prices as (

    select * from {{ ref('int_prices_pivoted') }}

),

-- Snapshots may cut the day and the context sizes in other ways: between two cuts, each has one price.
cuts as (

    select * from {{ ref('int_prices_cut') }}

),

service_tiers as (

    select * from {{ ref('int_price_tiers_resolved') }}

),

current_prices as (

    select
        prices.*,
        service_tiers.service_tier as asked_tier
    from service_tiers
    inner join prices
        on
            service_tiers.provider = prices.provider
            and service_tiers.model = prices.model
            and service_tiers.snapshot_number = prices.snapshot_number
            and service_tiers.priced_tier = prices.service_tier
    where
        service_tiers.is_newest
        and prices.valid_from_at <= {{ now_utc() }}
        and prices.valid_to_at > {{ now_utc() }}

),

matched as (

    select
        {%- for kind in priced_kinds() %}
        prices.{{ kind }}_rate as list_{{ kind }}_rate,
        current_prices.{{ kind }}_rate as current_{{ kind }}_rate,
        {%- endfor %}
        {{ rates_differ('prices', 'current_prices') | indent(4) }} as has_other_current_rates,
        prices.has_small_rates and coalesce(current_prices.has_small_rates, true) as has_small_rates,

        service_tiers.provider,
        service_tiers.model,
        service_tiers.service_tier,
        service_tiers.loaded_from_at,
        service_tiers.loaded_to_at,

        prices.price_id,
        prices.valid_from_at,
        prices.valid_to_at,
        cuts.window_start_s * 1000000 as window_start_us,
        cuts.window_end_s * 1000000 as window_end_us,
        cuts.tier_start,
        cuts.tier_end,
        prices.is_measured,
        prices.has_input_price,
        prices.has_output_price,
        current_prices.price_id as current_price_id

    from service_tiers
    inner join prices
        on
            service_tiers.provider = prices.provider
            and service_tiers.model = prices.model
            and service_tiers.snapshot_number = prices.snapshot_number
            and service_tiers.priced_tier = prices.service_tier
    inner join cuts
        on
            prices.provider = cuts.provider
            and prices.model = cuts.model
            and prices.window_start_s <= cuts.window_start_s
            and prices.window_end_s >= cuts.window_end_s
            and prices.tier_start <= cuts.tier_start
            and prices.tier_end >= cuts.tier_end
    left join current_prices
        on
            service_tiers.provider = current_prices.provider
            and service_tiers.model = current_prices.model
            and service_tiers.service_tier = current_prices.asked_tier
            and cuts.window_start_s >= current_prices.window_start_s
            and cuts.window_end_s <= current_prices.window_end_s
            and cuts.tier_start >= current_prices.tier_start
            and cuts.tier_end <= current_prices.tier_end

),

-- What becomes another when a price of the model does, whatever it is of: the days of its operations are built again.
versions as (

    select
        provider,
        model,
        string_agg(
            cast(price_id as varchar)
            || '/' || coalesce(cast(current_price_id as varchar), '-')
            || '/' || cast(loaded_from_at as varchar), ' '
            order by price_id, service_tier, loaded_from_at, window_start_us, tier_start
        ) as prices_in_use
    from matched
    group by provider, model

),

final as (

    select
        matched.*,
        {{ text_number('versions.prices_in_use') }} as price_version
    from matched
    inner join versions on matched.provider = versions.provider and matched.model = versions.model

)

select * from final
